import { describe, expect, it } from 'vitest'

import { knownAbsent, selectFiles, type SelectFilesOptions } from '../src/index.ts'

const listing = (...paths: string[]) => paths.map((path, index) => ({ path, size: index }))
const REPO = listing(
  'README.md',
  '.gitattributes',
  'config.json',
  'tokenizer.json',
  'onnx/model.onnx',
  'onnx/model.onnx_data',
  'onnx/model_fp16.onnx',
  'onnx/model_quantized.onnx',
  'model.safetensors',
  'pytorch_model.bin',
  'modeling_x.py',
)
const select = (options?: SelectFilesOptions, files = REPO): string[] =>
  selectFiles(files, options).files.map(({ path }) => path)

const LIGHT = ['README.md', 'config.json', 'tokenizer.json']

describe('of a repository with everything', () => {
  it.each<[string, SelectFilesOptions, string[]]>([
    ['the most exact graph', {}, ['onnx/model.onnx', 'onnx/model.onnx_data']],
    ['the variant that is asked for', { dtype: 'q8' }, ['onnx/model_quantized.onnx']],
    [
      'the one that config.json names',
      { config: { 'transformers.js_config': { dtype: 'fp16' } } },
      ['onnx/model_fp16.onnx'],
    ],
    ['more', { dtype: 'q8', include: ['*.safetensors'] }, ['model.safetensors', 'onnx/model_quantized.onnx']],
    [
      'more in a folder',
      { dtype: 'q8', include: ['onnx/*_fp16.onnx'] },
      ['onnx/model_fp16.onnx', 'onnx/model_quantized.onnx'],
    ],
  ])('%s', (_what, options, weights) => {
    expect(select(options)).toEqual([...LIGHT, ...weights].toSorted())
  })

  it('all, or all but some', () => {
    expect(select({ all: true })).toHaveLength(REPO.length)
    expect(select({ all: true, exclude: ['onnx/**', '*.bin'] })).toEqual(
      ['.gitattributes', 'model.safetensors', 'modeling_x.py', ...LIGHT].toSorted(),
    )
  })

  it('what is not selected is told', () => {
    const { files, omitted, reason } = selectFiles(REPO, { dtype: 'q8' })
    expect([...files, ...omitted].map(({ path }) => path).toSorted()).toEqual(REPO.map(({ path }) => path).toSorted())
    expect(reason).toBe('model: q8, as asked')
  })

  it.each<[SelectFilesOptions, string, string]>([
    [{ dtype: 'q4' }, 'NOT_FOUND', 'no onnx/model_q4.onnx'],
    [{ include: ['*.gguf'] }, 'INVALID_INPUT', 'no file matches "*.gguf"'],
    [{ exclude: ['**'] }, 'INVALID_INPUT', 'no file of the repository is selected'],
  ])('%j is refused', (options, code, message) => {
    expect(() => select(options)).toThrowError(expect.objectContaining({ code }))
    expect(() => select(options)).toThrowError(message)
  })
})

it.each([
  [
    ['config.json', 'a.safetensors', 'b.gguf', 'x.bin'],
    ['a.safetensors', 'config.json'],
  ],
  [
    ['config.json', 'b.gguf', 'x.bin'],
    ['b.gguf', 'config.json'],
  ],
  [
    ['config.json', 'model.onnx', 'model.onnx.data', 'x.pt'],
    ['config.json', 'model.onnx', 'model.onnx.data'],
  ],
  [
    ['config.json', 'weights.xyz', 'x.pt', 'a.py'],
    ['config.json', 'weights.xyz'],
  ],
])('of %j it takes %j', (paths, expected) => {
  expect(select({}, listing(...paths))).toEqual(expected)
})

it('says what loaders will ask for in vain', () => {
  expect(knownAbsent(REPO)).toContain('generation_config.json')
  expect(knownAbsent(REPO)).not.toContain('tokenizer.json')
})

it('patterns take nothing in a path for more than it is', () => {
  const files = listing('a+b.json', 'aab.json', 'x/a.onnx', 'x/y/a.onnx', 'a.onnx')
  const only = (include: string) =>
    selectFiles(files, { include: [include], exclude: ['*.json'] }).files.map(({ path }) => path)
  expect(selectFiles(files, { exclude: ['a+b.json'] }).files.map(({ path }) => path)).toContain('aab.json')
  expect(only('x/*')).toEqual(['a.onnx', 'x/a.onnx', 'x/y/a.onnx'])
  expect(select({ all: true, exclude: ['x/*'] }, files)).toContain('x/y/a.onnx')
  expect(select({ all: true, exclude: ['x/**'] }, files)).not.toContain('x/y/a.onnx')
  expect(select({ all: true, exclude: ['?.onnx'] }, files)).toEqual(['a+b.json', 'aab.json'])
})
