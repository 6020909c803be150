import path from 'node:path'

import { openFsStore } from '@x/backend-fs'
import { parseCid } from '@x/cid'
import { openOutbox } from '@x/node'
import { expect, it, onTestFinished } from 'vitest'

import { startChild } from '../../../tooling/start-child.ts'
import { temporaryDirectory } from './support.ts'

const CHILD = new URL('children/replicate.ts', import.meta.url)

/** Runs it, kills it after so many lines, and gives the roots that it has acknowledged. */
async function runAndKill(args: readonly string[], lines: number): Promise<{ acknowledged: string[]; last: string }> {
  const child = startChild(CHILD, ...args)
  const acknowledged: string[] = []
  let seen = 0
  let last = ''
  for await (const { step, cid } of child.events) {
    last = String(step)
    if (step === 'acknowledged') acknowledged.push(String(cid))
    seen += 1
    if (seen === lines) child.process.kill('SIGKILL')
  }
  await child.ended
  return { acknowledged, last }
}

// Two files: each is acknowledged, put, read back and settled.
it.each(Array.from({ length: 12 }, (_, index) => index + 1))(
  'killed after step %i, another process brings everything that was acknowledged',
  async (lines) => {
    const directory = await temporaryDirectory()
    const [local, target, outbox] = ['local', 'target', 'outbox.sqlite'].map((name) => path.join(directory, name))
    if (!local || !target || !outbox) throw new Error('no paths')
    const { acknowledged } = await runAndKill([local, target, outbox, '0', '2'], lines)

    const again = await runAndKill([local, target, outbox, '5', '1'], Infinity)
    expect(again.last).toBe('drained')

    const store = await openFsStore({ directory: target })
    onTestFinished(() => store.close())
    for (const cid of [...acknowledged, ...again.acknowledged]) await store.verify(parseCid(cid))
    const left = await openOutbox({ path: outbox })
    onTestFinished(() => left.close())
    expect(await left.list()).toEqual([])
    const verified = (await left.copies()).filter(({ state }) => state === 'verified').map(({ cid }) => String(cid))
    expect(verified).toEqual(expect.arrayContaining([...acknowledged, ...again.acknowledged]))
  },
)

it('two processes at once bring what both of them wrote', async () => {
  const directory = await temporaryDirectory()
  const [local, target, outbox] = ['local', 'target', 'outbox.sqlite'].map((name) => path.join(directory, name))
  if (!local || !target || !outbox) throw new Error('no paths')
  const both = await Promise.all([
    runAndKill([local, target, outbox, '0', '6'], Infinity),
    runAndKill([local, target, outbox, '10', '6'], Infinity),
  ])
  expect(both.map(({ last }) => last)).toEqual(['drained', 'drained'])
  const store = await openFsStore({ directory: target })
  onTestFinished(() => store.close())
  const roots = both.flatMap(({ acknowledged }) => acknowledged)
  expect(roots).toHaveLength(12)
  for (const cid of roots) await store.verify(parseCid(cid))
})
