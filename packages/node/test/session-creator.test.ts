import { fixtureModel } from '@x/fixtures'
import { addModel, openModel } from '@x/model-loader'
import { openMemoryStore } from '@x/storage-core'
import { expect, it, onTestFinished } from 'vitest'

import { filesSource } from '../../model-loader/test/support.ts'
import { createPlannedSession, type SessionReport } from '../src/sessions/session-creator.ts'
import type { SessionPlanner } from '../src/sessions/session-planner.ts'

it('what was derived and is refused costs nobody the session of the original, also where it cannot be deleted', async () => {
  const store = await openMemoryStore()
  onTestFinished(() => store.close())
  const { cid } = await addModel(store, filesSource(fixtureModel('tiny-bert').files))
  const graph = { path: '/original.onnx', model: await openModel(store, cid.toString()), file: 'onnx/model.onnx' }
  const session = {}
  const create = async (path: string): Promise<unknown> => {
    if (path === graph.path) return session
    throw new Error('no such kernel')
  }
  const planner: SessionPlanner = {
    plan: async () => ({
      mode: 'packed',
      path: '/packed.onnx',
      options: {},
      why: 'as asked',
      discard: () => Promise.reject(new Error('EROFS: read-only file system')),
    }),
  }
  const reports: SessionReport[] = []
  const runtime = { file: '', version: '1.30.0', sessions: { create } }
  const made = await createPlannedSession(planner, { graph, runtime, options: {} }, (report) => reports.push(report))
  expect(made).toBe(session)
  expect(reports).toMatchObject([
    { mode: 'original', why: expect.stringMatching(/refused it: no such kernel; it stays.*: EROFS/) },
  ])
})
