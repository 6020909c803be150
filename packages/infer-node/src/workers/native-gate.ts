import type { RuntimeSessions } from '@x/pipelines/parts'

/**
 * Keeps a thread from being ended inside ONNX Runtime: its native code cannot tell that to JavaScript, throws, and takes the whole
 * process with it. A thread counts itself in and out; who wants to end it sees to it that it does not go in again, and waits.
 */
export interface NativeGate {
  /** Two counters, for a thread to be given. */
  readonly shared: Int32Array<SharedArrayBuffer>
  /** From now on the thread stays outside. @returns Whether it is so; else it says so when it has come out. */
  shut(): boolean
  /** Blocks this thread until the other is out, but not longer than this. */
  waitUntilOut(mostMs: number): void
}

const INSIDE = 0
const IS_SHUT = 1

export function createNativeGate(): NativeGate {
  const shared = new Int32Array(new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT))
  return {
    shared,
    shut() {
      Atomics.store(shared, IS_SHUT, 1)
      return Atomics.load(shared, INSIDE) === 0
    },
    waitUntilOut(mostMs) {
      const untilMs = performance.now() + mostMs
      for (let inside = Atomics.load(shared, INSIDE); inside > 0; inside = Atomics.load(shared, INSIDE)) {
        const restMs = untilMs - performance.now()
        if (restMs <= 0) return
        Atomics.wait(shared, INSIDE, inside, restMs)
      }
    },
  }
}

/** Does what is inside ONNX Runtime; what is begun after the gate was shut never ends. */
export type Inside = <T>(work: () => Promise<T>) => Promise<T>

/**
 * In the thread.
 *
 * @param onOut - Called when the last of what the thread does inside has ended, and it is to stay out.
 */
export function createInside(shared: Int32Array<SharedArrayBuffer>, onOut: () => void): Inside {
  function out(): void {
    // The number before: several sessions are made at a time.
    const isLast = Atomics.sub(shared, INSIDE, 1) === 1
    Atomics.notify(shared, INSIDE)
    if (isLast && Atomics.load(shared, IS_SHUT) === 1) onOut()
  }

  return async (work) => {
    Atomics.add(shared, INSIDE, 1)
    try {
      // The thread is about to end: nothing of it is waited for.
      if (Atomics.load(shared, IS_SHUT) === 1) return await new Promise<never>(() => out())
      return await work()
    } finally {
      out()
    }
  }
}

/** Lets all sessions be made, run and freed inside. */
export function guardSessions(sessions: RuntimeSessions, inside: Inside): void {
  const { create } = sessions
  sessions.create = async (...given) => {
    const session = await inside(() => create(...given))
    const [run, release] = [session.run.bind(session), session.release.bind(session)]
    session.run = (...args) => inside(() => run(...args))
    session.release = () => inside(release)
    return session
  }
}

/**
 * Of the threads that there are. One listener for all: an engine that was dropped without being closed is held by none, and one whose
 * threads are being ended still has them.
 */
const gates = new Set<NativeGate>()
/** Longest that the end of this process waits, for all threads together. */
const EXIT_MS = 10_000

/** Lets the end of this process, by `process.exit` in the middle of a run, wait until the thread is outside. @returns Forgets it. */
export function guardExit(gate: NativeGate): () => void {
  if (gates.size === 0) process.on('exit', onExit)
  gates.add(gate)
  return () => {
    gates.delete(gate)
    if (gates.size === 0) process.off('exit', onExit)
  }
}

function onExit(): void {
  const untilMs = performance.now() + EXIT_MS
  // All of them first: none begins another run while one is waited for.
  for (const gate of gates) gate.shut()
  for (const gate of gates) gate.waitUntilOut(untilMs - performance.now())
}
