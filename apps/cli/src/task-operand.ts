import { TASKS, type InputKind, type TaskName } from '@x/infer-core'
import type { TaskInput } from '@x/infer-node'
import { reasonOf } from '@x/storage-core/backend'

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
  let why = ''
  if (text.trimStart().startsWith('{')) {
    try {
      // Its parts are looked at by who runs it.
      return JSON.parse(text)
    } catch (error) {
      // Or it is a text that begins with a brace, of a task that takes one.
      why = `: ${reasonOf(error)}`
    }
  }
  if (forms.length < inputs.length) return text
  throw new UsageError(`run: ${task} takes ${forms.join(' or ')}, not ${text.slice(0, 80)}${why}`)
}
