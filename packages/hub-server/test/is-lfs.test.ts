import { spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { isLfs } from '@x/hub-server'
import * as fc from 'fast-check'
import { assert, expect, it, onTestFinished } from 'vitest'

// As huggingface_hub writes them into a new repository.
const ATTRIBUTES =
  '*.7z *.arrow *.bin *.bz2 *.ckpt *.ftz *.gz *.h5 *.joblib *.lfs.* *.mlmodel *.model *.msgpack *.npy *.npz *.onnx *.ot *.parquet *.pb *.pickle *.pkl *.pt *.pth *.rar *.safetensors saved_model/**/* *.tar.* *.tar *.tflite *.tgz *.wasm *.xz *.zip *.zst *tfevents*'

/** What Git says of each. */
async function ofGit(paths: readonly string[]): Promise<boolean[] | undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'is-lfs-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const git = (args: readonly string[], input = ''): string | undefined => {
    const { error, status, stdout } = spawnSync('git', args, { cwd: folder, input, encoding: 'utf8' })
    return error === undefined && status === 0 ? stdout : undefined
  }
  if (git(['init', '--quiet']) === undefined) return undefined
  await writeFile(join(folder, '.gitattributes'), ATTRIBUTES.replaceAll(/(\S+) ?/g, '$1 filter=lfs\n'))
  const input = paths.map((path) => `${path}\0`).join('')
  const fields = git(['check-attr', '-z', '--stdin', 'filter'], input)?.split('\0')
  return fields && paths.map((_, index) => fields[3 * index + 2] === 'lfs')
}

const piece = fc.oneof(
  fc.constantFrom(...ATTRIBUTES.replaceAll('*', '').split(' '), '.lfs', 'tar', 'a', 'A', '.', '-', 'é', 'saved_model'),
  fc.constantFrom('config', '.json', '.safetensors.index', 'bin'),
)
const name = fc
  .array(piece, { minLength: 1, maxLength: 4 })
  .map((pieces) => pieces.join('').replaceAll('/', ''))
  .filter((text) => text !== '' && !/^\.+$/.test(text) && text !== '.git')
const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => names.join('/'))

it('says what Git says by the attributes of a new repository', async (context) => {
  const paths = fc.sample(path, 2000)
  const said = await ofGit(paths)
  context.skip(said === undefined, 'there is no git')
  assert(said)
  expect(said.filter(Boolean).length).toBeGreaterThan(200)
  expect(said.filter((is) => !is).length).toBeGreaterThan(200)
  expect(paths.filter((each, index) => isLfs(each, 1) !== said[index])).toEqual([])
  expect([isLfs('config.json', 10 * 1024 * 1024), isLfs('config.json', 10 * 1024 * 1024 + 1)]).toEqual([false, true])
})
