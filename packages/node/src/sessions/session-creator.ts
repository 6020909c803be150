import type { OnnxRuntime } from './onnx-runtime.ts'
import { tableOf, type GivenGraph, type SessionPlan, type SessionPlanner } from './session-planner.ts'

/** How one session was made. */
export interface SessionReport {
  /** The model's CID and the graph's path in it. */
  graph: string
  mode: SessionPlan['mode']
  why: string
  /** Until ONNX Runtime had the session. */
  milliseconds: number
}

/**
 * A session of a graph that was given by path, by a plan; where ONNX Runtime refuses what was derived, of the original.
 *
 * @param create - The runtime's own.
 */
export async function createPlannedSession(
  planner: SessionPlanner,
  { graph, runtime, options }: { graph: GivenGraph; runtime: OnnxRuntime; options: Readonly<Record<string, unknown>> },
  onSession: (report: SessionReport) => void,
): Promise<unknown> {
  const start = performance.now()
  const report = (mode: SessionPlan['mode'], why: string): void => {
    const milliseconds = performance.now() - start
    onSession({ graph: `${graph.model.cid}/${graph.file}`, mode, why, milliseconds })
  }
  const plan = await planner.plan(graph, runtime, options)
  try {
    const session = await runtime.sessions.create(plan.path, merged(options, plan.options))
    report(plan.mode, plan.why)
    return session
  } catch (error) {
    if (plan.mode === 'original') throw error
    const session = await runtime.sessions.create(graph.path, options)
    let why = `${plan.mode} was wanted (${plan.why}), and ONNX Runtime refused it: ${messageOf(error)}`
    try {
      await plan.discard?.()
    } catch (stays) {
      // There is a session, which only who asked for it can release.
      why += `; it stays, and is refused again: ${messageOf(stays)}`
    }
    report('original', why)
    return session
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** The caller's options win; `extra.session` is one table of both. */
function merged(
  options: Readonly<Record<string, unknown>>,
  added: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const extra = { ...tableOf(added['extra']), ...tableOf(options['extra']) }
  const session = { ...tableOf(tableOf(added['extra'])['session']), ...tableOf(tableOf(options['extra'])['session']) }
  const all = { ...added, ...options }
  return Object.keys(session).length === 0 ? all : { ...all, extra: { ...extra, session } }
}
