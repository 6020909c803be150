import { wideBert } from '@x/fixtures'
import { expect, it } from 'vitest'

import { startChild } from '../../../tooling/start-child.ts'
import { storeOf } from './hook-support.ts'

const MIB = 2 ** 20
const WIDTH = 4096
const LAYERS = 12

it('four workers hold the weights of a model of 768 MiB once', async (context) => {
  if (process.platform !== 'linux') context.skip('the memory of a process of its own is told by Linux alone')
  const directory = await storeOf({ 'fix/wide': wideBert(WIDTH, LAYERS) })
  const run = async (workers: number): Promise<{ loads: number; privateBytes: number }> => {
    const child = startChild(
      new URL('children/run-in-workers.ts', import.meta.url),
      directory,
      'fix/wide',
      String(workers),
      'mmap',
    )
    for await (const { loads, privateBytes } of child.events) {
      expect(await child.ended).toEqual({ code: 0, errors: '' })
      return { loads: Number(loads), privateBytes: Number(privateBytes) }
    }
    throw new Error((await child.ended).errors)
  }
  const [one, four] = [await run(1), await run(4)]
  expect(one.loads).toBe(1)
  expect(four.loads).toBe(4)
  // Each thread has an engine of JavaScript and the library of its own; the weights would be 768 MiB each.
  expect((four.privateBytes - one.privateBytes) / 3).toBeLessThan(150 * MIB)
  expect(four.privateBytes).toBeLessThan(768 * MIB)
})
