// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
// A server's shape on the JVM. Requests MODE RATE; MODE map: a session of each request stays in a map; direct: a direct buffer of
// each request stays; steady: all is garbage. Answers on stdout: "count", "collect" (all garbage, then as "count"), "late" (direct
// buffers are from here on kept by a method that has never run), "rest" (no request does anything any more).
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.management.GarbageCollectorMXBean;
import java.lang.management.ManagementFactory;
import java.lang.management.MemoryUsage;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;

public class Requests {
	static final int BUFFER = 20000;
	static final Map<Integer, byte[]> sessions = new HashMap<>();
	static final List<ByteBuffer> buffers = new ArrayList<>();
	static volatile int requests, kept, late;
	static volatile boolean isLate, rests;
	static volatile byte[] sink;

	static void makeGarbage() {
		for (int i = 0; i < 20; i++)
			sink = new byte[1000 + i];
	}

	static void keepBuffer() {
		buffers.add(ByteBuffer.allocateDirect(BUFFER));
		kept++;
	}

	static void keepLate() {
		buffers.add(ByteBuffer.allocateDirect(BUFFER));
		if (++late % 50 == 0)
			keepThread();
	}

	static void keepThread() {
		Thread thread = new Thread(LockSupport::park);
		thread.setDaemon(true);
		thread.start();
	}

	static void keepSession(int n) {
		sessions.put(n, new byte[4000]);
		kept++;
	}

	static void handle(String mode, int n) {
		if (rests)
			return;
		makeGarbage();
		if (mode.equals("direct") && isLate)
			keepLate();
		else if (mode.equals("direct"))
			keepBuffer();
		else if (mode.equals("map"))
			keepSession(n);
	}

	static void serve(String mode, int rate) {
		long begin = System.nanoTime();
		for (;;) {
			handle(mode, requests);
			requests++;
			long ahead = requests * 1000000000L / rate - (System.nanoTime() - begin);
			try {
				if (ahead > 1000000)
					Thread.sleep(ahead / 1000000);
			} catch (InterruptedException e) {
				return;
			}
		}
	}

	// What the JVM itself says of its heap and its collectors.
	static void answer() {
		MemoryUsage heap = ManagementFactory.getMemoryMXBean().getHeapMemoryUsage();
		long young = 0, full = 0;
		for (GarbageCollectorMXBean c : ManagementFactory.getGarbageCollectorMXBeans()) {
			if (c.getName().equals("Copy") || c.getName().contains("Young"))
				young += c.getCollectionCount();
			else
				full += c.getCollectionCount();
		}
		System.out.println("{\"requests\": " + requests + ", \"kept\": " + kept + ", \"late\": " + late + ", \"used\": " + heap.getUsed() +
				   ", \"committed\": " + heap.getCommitted() + ", \"most\": " + heap.getMax() + ", \"young\": " + young +
				   ", \"full\": " + full + "}");
	}

	public static void main(String[] args) throws Exception {
		Thread server = new Thread(() -> serve(args[0], Integer.parseInt(args[1])), "server");
		server.setDaemon(true);
		server.start();
		BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
		System.out.println("ready");
		for (String word = in.readLine(); word != null; word = in.readLine()) {
			if (word.equals("collect"))
				System.gc();
			isLate |= word.equals("late");
			rests |= word.equals("rest");
			answer();
		}
	}
}
