import type { Question } from '../harness/types.ts'
import { cached } from './cached-question.ts'
import { callers } from './callers-question.ts'
import { memory } from './memory-question.ts'
import { start } from './start-question.ts'

/** What takes long comes first. */
export const questions: readonly Question[] = [callers, memory, cached, start]
