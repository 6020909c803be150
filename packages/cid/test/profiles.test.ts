import { createCipheriv, createHash } from 'node:crypto'

import { buildDirectory, buildFile, cidOf, encodeSymlink, parseCid, RAW, type ProfileName } from '@x/cid'
import { describe, expect, it } from 'vitest'

/** The vectors' input: a ChaCha20 key stream, its key the SHA-256 of the seed, nonce and counter zero. */
function* keyStream(seed: string, byteLength: number): Generator<Uint8Array> {
  const cipher = createCipheriv('chacha20', createHash('sha256').update(seed).digest(), Buffer.alloc(16))
  const zeros = Buffer.alloc(1024 * 1024)
  for (let rest = byteLength; rest > 0; rest -= zeros.length)
    yield cipher.update(zeros.subarray(0, Math.min(rest, zeros.length)))
}

const MIB = 1024 * 1024
type Vector = [name: string, profile: ProfileName, seed: string | Uint8Array, byteLength: number, cid: string]

const hello = new TextEncoder().encode('hello world')

// https://github.com/ipfs/kubo/blob/master/test/cli/cid_profiles_test.go
const files: Vector[] = [
  ['hello world', 'unixfs-v0-2015', hello, 11, 'Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD'],
  ['hello world', 'unixfs-v1-2025', hello, 11, 'bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e'],
  ['hello world', 'kubo-v1', hello, 11, 'bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e'],
  ['empty', 'unixfs-v0-2015', '', 0, 'QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH'],
  ['empty', 'unixfs-v1-2025', '', 0, 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku'],
  ['one chunk', 'unixfs-v0-2015', 'chunk-v0-seed', MIB / 4, 'QmWmRj3dFDZdb6ABvbmKhEL6TmPbAfBZ1t5BxsEyJrcZhE'],
  ['one chunk', 'unixfs-v1-2025', 'chunk-v1-seed', MIB, 'bafkreiacndfy443ter6qr2tmbbdhadvxxheowwf75s6zehscklu6ezxmta'],
  ['one chunk + 1', 'unixfs-v0-2015', 'chunk-v0-seed', MIB / 4 + 1, 'QmYyLxtzZyW22zpoVAtKANLRHpDjZtNeDjQdJrcQNWoRkJ'],
  [
    'one chunk + 1',
    'unixfs-v1-2025',
    'chunk-v1-seed',
    MIB + 1,
    'bafybeigmix7t42i6jacydtquhet7srwvgpizfg7gjbq7627d35mjomtu64',
  ],
  ['one full node', 'unixfs-v0-2015', 'v0-seed', 174 * (MIB / 4), 'QmUbBALi174SnogsUzLpYbD4xPiBSFANF4iztWCsHbMKh2'],
  [
    'one full node + 1',
    'unixfs-v0-2015',
    'v0-seed',
    174 * (MIB / 4) + 1,
    'QmV81WL765sC8DXsRhE5fJv2rwhS4icHRaf3J9Zk5FdRnW',
  ],
  [
    'one full node',
    'unixfs-v1-2025',
    'v1-2025-seed',
    1024 * MIB,
    'bafybeihmf37wcuvtx4hpu7he5zl5qaf2ineo2lqlfrapokkm5zzw7zyhvm',
  ],
  [
    'one full node + 1',
    'unixfs-v1-2025',
    'v1-2025-seed',
    1024 * MIB + 1,
    'bafybeibdsi225ugbkmpbdohnxioyab6jsqrmkts3twhpvfnzp77xtzpyhe',
  ],
]

describe('published vectors of files', () => {
  it.each(files)(
    '%s under %s',
    async (_name, profile, seed, byteLength, expected) => {
      const source = typeof seed === 'string' ? keyStream(seed, byteLength) : [seed]
      const { cid, fileBytes } = await buildFile(source, { profile })
      expect(cid.toString()).toBe(expected)
      expect(fileBytes).toBe(byteLength)
    },
    60_000,
  )
})

/** Names cut one after another from a key stream, each byte mapped to a letter. */
function directoryNames(seed: string, counts: readonly (readonly [count: number, length: number])[]): string[] {
  const alphabet = 'abcdefghijklmnopqrstuvwxyz01234567890-_'
  const stream = Buffer.concat([...keyStream(seed, MIB)])
  const names: string[] = []
  let position = 0
  for (const [count, length] of counts) {
    for (let index = 0; index < count; index++) {
      names.push(Array.from(stream.subarray(position, position + length), (byte) => alphabet[byte % 39]).join(''))
      position += length
    }
  }
  return names
}

const directories: [name: string, profile: ProfileName, names: string[], cid: string][] = [
  ['empty', 'unixfs-v0-2015', [], 'QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn'],
  ['empty', 'unixfs-v1-2025', [], 'bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354'],
  [
    'at the threshold',
    'unixfs-v0-2015',
    directoryNames('hamt-unixfs-v0-2015', [[4096, 30]]),
    'QmX5GtRk3TSSEHtdrykgqm4eqMEn3n2XhfkFAis5fjyZmN',
  ],
  [
    'over the threshold',
    'unixfs-v0-2015',
    directoryNames('hamt-unixfs-v0-2015', [[4033, 31]]),
    'QmeMiJzmhpJAUgynAcxTQYek5PPKgdv3qEvFsdV3XpVnvP',
  ],
  [
    'at the threshold',
    'unixfs-v1-2025',
    directoryNames('hamt-unixfs-v1-2025', [
      [4765, 11],
      [1, 21],
    ]),
    'bafybeic3h7rwruealwxkacabdy45jivq2crwz6bufb5ljwupn36gicplx4',
  ],
  [
    'over the threshold',
    'unixfs-v1-2025',
    directoryNames('hamt-unixfs-v1-2025', [
      [4765, 11],
      [1, 22],
    ]),
    'bafybeiegvuterwurhdtkikfhbxcldohmxp566vpjdofhzmnhv6o4freidu',
  ],
]

describe('published vectors of directories', () => {
  it.each(directories)('%s under %s', async (_name, profile, names, expected) => {
    const x = await buildFile([new TextEncoder().encode('x')], { profile })
    const { cid } = await buildDirectory(
      names.map((name) => ({ name, ...x })),
      { profile },
    )
    expect(cid.toString()).toBe(expected)
  })
})

describe('cidOf', () => {
  it('is the CID of a raw block', async () => {
    expect((await cidOf(RAW, hello)).toString()).toBe('bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e')
  })
})

describe("Kubo's own test of symlinks", () => {
  // https://github.com/ipfs/kubo/blob/master/test/sharness/t0044-add-symlink.sh
  it.each([
    ['unixfs-v0-2015', 0, 'QmWdiHKoeSW8G1u7ATCgpx4yMoUhYaJBQGkyPLkS9goYZ8'],
    ['kubo-v1', 1, 'zdj7WZDQ2xMmr4qn6aRZTsE9fCUs2KmvPigpHdpssqUobwcWK'],
  ] as const)('a directory with two, under %s', async (profile, version, expected) => {
    const link = async (name: string, target: string) => {
      const { cid, bytes } = await encodeSymlink(version, target)
      return { name, cid, dagBytes: bytes.length }
    }
    const baz = await buildFile([new TextEncoder().encode('some text\n')], { profile })
    const foo = await buildDirectory([{ name: 'baz', ...baz }], { profile })
    const bar = await buildDirectory([await link('baz', 'files/foo/baz')], { profile })
    const entries = [{ name: 'foo', ...foo }, { name: 'bar', ...bar }, await link('bad', 'files/does/not/exist')]
    const { cid } = await buildDirectory(entries, { profile })
    expect(cid.equals(parseCid(expected))).toBe(true)
  })
})
