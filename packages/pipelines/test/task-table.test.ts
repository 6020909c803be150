import { TASKS, type TaskName, toTask } from '@x/infer-core'
import { describe, expect, it } from 'vitest'

import { createPipelines, EVERY_TASK, plainTask, type TaskHandler } from '../src/index.ts'

const names = Object.keys(TASKS).map((name) => toTask(name))
const withHandler = (has: (handler: TaskHandler) => boolean): TaskName[] =>
  names.filter((name) => has(EVERY_TASK[name]))

const takes = (kind: string): TaskName[] => names.filter((name) => TASKS[name].inputs.some((input) => input === kind))

describe('the table of every task', () => {
  it('has chats where a task takes them, and sounds', () => {
    expect(withHandler(({ chat }) => chat !== undefined)).toEqual(takes('chat'))
    expect(withHandler(({ samplesOf }) => samplesOf !== undefined)).toEqual(takes('audio'))
  })

  it('follows the text of each task that gives pieces of it', () => {
    const followed = withHandler(({ follow }) => follow !== undefined)
    expect(followed).toEqual(expect.arrayContaining(names.filter((name) => TASKS[name].streams)))
  })
})

it('takes for a task no handler of another, as types go', () => {
  // @ts-expect-error -- its vectors would be of the library's own pipeline
  createPipelines({ 'feature-extraction': plainTask })
  // @ts-expect-error -- nothing would follow its text
  createPipelines({ 'text-generation': plainTask })
  expect(Object.keys(createPipelines({ 'fill-mask': plainTask }))).toEqual(['load', 'run'])
})
