import { expect, it } from 'vitest'

import { lfsPointer } from '../src/index.ts'

it('is the pointer that the LFS specification has', () => {
  const sha256 = Buffer.from('4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393', 'hex')
  expect(lfsPointer({ sha256, size: 12345 })).toBe(
    'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n',
  )
})
