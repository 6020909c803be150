import type { ProfileName } from '@x/cid'
import { BackendError, NotFoundError, openMemoryPartials, openMemoryStore } from '@x/storage-core'
import { expect, it } from 'vitest'

import { createLocalPieces, download, type ByteSource, type KnownPiece, type WantedFile } from '../src/index.ts'
import { soak } from './soak.ts'
import { createDraw, holds, MIB, quick, rooted, sha256, someBytes } from './support.ts'

const ROUNDS = soak(12, 1000)
const PROFILES: readonly ProfileName[] = ['unixfs-v1-2025', 'kubo-v1', 'unixfs-v0-2015']

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

interface Kind {
  /** Of all requests. */
  breaks: number
  lies: number
  absent: boolean
  pieceBytes: number
  /** Turns between two pieces. */
  slow: number
}

function sourceOf(name: string, bytes: Uint8Array, kind: Kind, draw: () => number): ByteSource & { lied: boolean } {
  return {
    name,
    lied: false,
    async *read({ path }, { offset, length }) {
      if (kind.absent) throw new NotFoundError(path)
      const breaks = draw() < kind.breaks
      const end = breaks ? offset + Math.floor(length * draw()) : offset + length
      const lieAt = draw() < kind.lies ? offset + Math.floor(length * draw()) : -1
      for (let at = offset; at < end; at += kind.pieceBytes) {
        const piece = bytes.slice(at, Math.min(at + kind.pieceBytes, end))
        if (lieAt >= at && lieAt < at + piece.length) {
          piece[lieAt - at] = (piece[lieAt - at] ?? 0) ^ 1
          this.lied = true
        }
        yield piece
        for (let waits = 0; waits <= kind.slow; waits++) await turn()
      }
      if (breaks) throw new BackendError(`${name}: broken off`, { retryable: true })
    },
  }
}

it(
  `whatever sources do, the file comes and none that is honest is banned, ${ROUNDS} rounds`,
  { timeout: ROUNDS * 20_000 },
  async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const draw = createDraw(`round ${round} ${soak('', String(Math.random()))}`)
      const pick = (most: number): number => Math.floor(draw() * most)
      const bytes = someBytes(1 + pick(7 * MIB), `round ${round}`)
      const profile = PROFILES[pick(3)]
      const { file, blocks } = await rooted('model', bytes, profile)
      const byRoot = draw() < 0.6
      const pieces: KnownPiece[] = []
      for (let at = 0; at < bytes.length;) {
        const length = Math.min(bytes.length - at, 1 + pick(900_000))
        pieces.push({ offset: at, length, sha256: sha256(bytes.subarray(at, at + length)) })
        at += length
      }
      const here = pieces.filter(() => draw() < 0.4)
      const local = createLocalPieces(
        here.map((piece) => {
          const isRotten = draw() < 0.1
          return {
            ...piece,
            from: {
              async *read(offset, length) {
                const part = bytes.slice(offset, offset + length)
                if (isRotten && part.length > 0) part[0] = (part[0] ?? 0) ^ 1
                yield part
              },
            },
          }
        }),
      )
      const withLocal = draw() < 0.5
      const wanted: WantedFile = {
        ...(byRoot ? file : { path: 'model', size: bytes.length, sha256: sha256(bytes) }),
        ...(withLocal && { pieces }),
      }
      const sources = Array.from({ length: 1 + pick(4) }, (_, index) =>
        sourceOf(
          `source ${index}`,
          bytes,
          {
            breaks: draw() < 0.5 ? 0.6 : 0,
            // One at the least is honest, and has the file.
            lies: index > 0 && draw() < 0.4 ? 0.5 : 0,
            absent: index > 0 && draw() < 0.2,
            pieceBytes: 1000 + pick(200_000),
            slow: draw() < 0.2 ? 5 : 0,
          },
          draw,
        ),
      )
      const store = await openMemoryStore()
      const { files, receipt } = await download(openMemoryPartials(store), [wanted], [...sources, blocks], {
        ...quick,
        retries: 1000,
        local: withLocal ? local : undefined,
      })
      const [got] = files
      if (!got) throw new Error('there is no file')
      expect(await holds(store, got.root, bytes), `round ${round}`).toBe(true)
      const honest = new Set(sources.filter(({ lied }) => !lied).map(({ name }) => name))
      const banned = receipt.sources.filter(({ name, outcome }) => outcome === 'banned' && honest.has(name))
      expect(banned, `round ${round}`).toEqual([])
    }
  },
)
