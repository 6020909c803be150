import { TASKS, type InputKind, type TaskName } from '@x/infer-core'
import type { TaskInput } from '@x/infer-node'

import { UsageError } from './usage-error.ts'

/** Inputs of several parts, as JSON has them. A file is a path. */
const PARTS: Readonly<Partial<Record<InputKind, string>>> = {
  question: '{"question": "...", "context": "..."}',
  document: '{"question": "...", "image": PATH}',
  prompt: '{"text": "...", "image": PATH}',
  ranking: '{"query": "...", "documents": ["...", "..."]}',
  speech: '{"text": "...", "voice": PATH}',
}

/**
 * One input of a task as a command line gives it: a text or the path of a file as it is, one of several parts as JSON.
 *
 * @throws {UsageError} The task takes inputs of several parts alone, and this is none.
 */
export function parseTaskInput(task: TaskName, text: string): TaskInput {
  const { inputs } = TASKS[task]
  const forms = inputs.flatMap((kind) => PARTS[kind] ?? [])
  if (forms.length === 0) return text
  const parsed = objectIn(text)
  if (parsed !== undefined) return parsed
  if (forms.length < inputs.length) return text
  throw new UsageError(`run: ${task} takes ${forms.join(' or ')}, not ${text.slice(0, 80)}`)
}

/** Its parts are looked at by who runs it. */
function objectIn(text: string): TaskInput | undefined {
  if (!text.trimStart().startsWith('{')) return undefined
  try {
    return JSON.parse(text)
  } catch {
    // A text that begins with a brace.
    return undefined
  }
}
