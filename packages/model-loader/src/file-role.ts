import { isPickleName } from '@x/model-signing/pickle'

/** What a file of a model is for. `pickle`: weights in a format whose reading runs code; it is listed, and never loaded. */
export type FileRole =
  | 'weights'
  | 'external-data'
  | 'config'
  | 'tokenizer'
  | 'code'
  | 'pickle'
  | 'documentation'
  | 'other'

const ROLES: readonly FileRole[] = [
  'weights',
  'external-data',
  'config',
  'tokenizer',
  'code',
  'pickle',
  'documentation',
  'other',
]

export const isFileRole = (value: unknown): value is FileRole => ROLES.some((role) => role === value)

/** The first that fits the path. */
const RULES: readonly (readonly [RegExp, FileRole])[] = [
  [/\.onnx[._]data(?:_\d+)?$/i, 'external-data'],
  [/\.(?:onnx|ort|safetensors|gguf|ggml|tflite|msgpack|h5|keras)$/i, 'weights'],
  [/(?:^|\/)(?:ggml|openvino)[^/]*\.bin$/i, 'weights'],
  [/\.(?:py|js|mjs|cjs|ts|ipynb|sh)$/i, 'code'],
  [
    /(?:^|\/)(?:tokenizer[^/]*|vocab[^/]*|merges\.txt|added_tokens\.json|special_tokens_map\.json|chat_template[^/]*|[^/]+\.(?:model|spm|tiktoken))$/i,
    'tokenizer',
  ],
  [
    /\.(?:md|pdf|png|jpe?g|svg|gif|webp)$|(?:^|\/)(?:LICEN[CS]E|NOTICE|COPYING|README|AUTHORS|CHANGELOG)(?:\.[^/]*)?$/i,
    'documentation',
  ],
  [/\.(?:json|ya?ml|toml)$/i, 'config'],
]

/** Told by the path alone, so that it is the same wherever the model lies. */
export const fileRole = (path: string): FileRole =>
  isPickleName(path) ? 'pickle' : (RULES.find(([pattern]) => pattern.test(path))?.[1] ?? 'other')
