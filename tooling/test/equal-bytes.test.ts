import { expect, it } from 'vitest'

const SIZE = 100_000

function changed(at: number): Uint8Array {
  const bytes = new Uint8Array(SIZE)
  bytes[at] = 1
  return bytes
}

it.each([0, SIZE / 2, SIZE - 1])('bytes that differ at %i alone are not equal', (at) => {
  const same = new Uint8Array(SIZE)
  expect(new Uint8Array(SIZE)).toEqual(same)
  expect(changed(at)).not.toEqual(same)
  expect(changed(at)).not.toStrictEqual(same)
  expect([{ bytes: changed(at) }]).not.toEqual([{ bytes: same }])
  expect({ bytes: changed(at), size: SIZE }).not.toMatchObject({ bytes: same })
})

it('more bytes, fewer, another kind of array or none are not equal', () => {
  const bytes = Uint8Array.of(1, 2)
  for (const other of [
    Uint8Array.of(1),
    Uint8Array.of(1, 2, 3),
    Buffer.of(1, 2),
    Int8Array.of(1, 2),
    [1, 2],
    undefined,
  ]) {
    expect(other).not.toEqual(bytes)
    expect(bytes).not.toEqual(other)
  }
})
