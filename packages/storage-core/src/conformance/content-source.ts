import { beforeEach, describe, expect, it } from 'vitest'

import type { AbortOptions } from '../blockstore.ts'
import type { ContentSource } from '../content-store.ts'
import { describePulling } from './content-pulling.ts'
import { describeReading, type ReadingSetup } from './content-reading.ts'
import { needs } from './needs.ts'
import { collect, randomBlock, type SampleBlock } from './sample.ts'

export interface ContentSourceSetup extends ReadingSetup {
  /** One whose medium fails: nobody listens. Without it those tests are skipped. */
  openBroken?: (() => Promise<ContentSource>) | undefined
}

type Call = (source: ContentSource, block: SampleBlock, options: AbortOptions) => Promise<unknown>

// A new method on ContentSource does not compile until it has its line here.
const sourceCalls: Record<Exclude<keyof ContentSource, 'name' | 'blocks' | 'close'>, Call> = {
  cat: (source, { cid }, options) => collect(source.cat(cid, options)),
  stat: (source, { cid }, options) => source.stat(cid, options),
  ls: (source, { cid }, options) => collect(source.ls(cid, options)),
  verify: (source, { cid }, options) => source.verify(cid, options),
  status: (source, _block, options) => source.status(options),
}

const calls: [name: string, call: Call][] = [
  ...Object.entries(sourceCalls),
  ['blocks.has', (source, { cid }, options) => source.blocks.has(cid, options)],
  ['blocks.get', (source, { cid }, options) => source.blocks.get(cid, options)],
]

/** The tests that everything passes from which content can be read. Call it at the top of a test file. */
export function contentSourceConformance(name: string, setup: ContentSourceSetup): void {
  const { open, openBroken } = setup
  describe(`${name} is a ContentSource`, () => {
    describeReading(setup)
    describe('pulling', () => {
      describePulling(setup)
    })

    it.each(calls)('%s rejects with signal.reason', async (_name, call) => {
      const reason = new Error('the caller gave up')
      const { origin, source } = await open()
      const block = await randomBlock()
      const { cid } = await origin.add(block.bytes)
      await expect(call(source, { ...block, cid }, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    })

    it('status says that a good source is available', async () => {
      const { source } = await open()
      const status = await source.status()
      expect(status).toMatchObject({ name: source.name, available: true })
      expect(status.reason).toBeUndefined()
    })

    it.each(calls)('%s rejects after close', async (_name, call) => {
      const { origin, source } = await open()
      const block = await randomBlock()
      await origin.add(block.bytes)
      await source.close()
      await source.close()
      await expect(call(source, block, {})).rejects.toMatchObject({ code: 'BACKEND' })
    })

    describe('a broken medium', () => {
      beforeEach(needs(openBroken, 'openBroken'))

      it.each(calls.filter(([method]) => method !== 'status'))('%s says that it is broken', async (_name, call) => {
        const broken = await openBroken?.()
        if (!broken) throw new Error('there is no openBroken')
        await expect(call(broken, await randomBlock(), {})).rejects.toMatchObject({ code: 'BACKEND' })
      })

      it('status says that it is not available, and why', async () => {
        const broken = await openBroken?.()
        if (!broken) throw new Error('there is no openBroken')
        const status = await broken.status()
        expect(status).toMatchObject({ name: broken.name, available: false })
        expect(status.reason).toMatch(/\S/)
      })
    })
  })
}
