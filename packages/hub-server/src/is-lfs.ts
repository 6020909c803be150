// The .gitattributes that the hub writes into a new model repository. A pattern without a slash is of a file's name alone, so each of these is
// looked for once, whatever a stranger calls a file.
const ENDINGS =
  '7z arrow bin bz2 ckpt ftz gz h5 joblib mlmodel model msgpack npy npz onnx ot parquet pb pickle pkl pt pth rar safetensors tar tflite tgz wasm xz zip zst'
const ENDING = new RegExp(`\\.(?:${ENDINGS.replaceAll(' ', '|')})$`)
// `*.lfs.*`, `*.tar.*`, `*tfevents*`
const PARTS = ['.lfs.', '.tar.', 'tfevents']
// `saved_model/**/*`
const SAVED_MODEL = 'saved_model/'
// A larger file is refused by the hub unless it is in LFS.
const MOST_GIT_BYTES = 10 * 1024 * 1024

/**
 * Whether the hub keeps such a file in LFS, as far as its defaults go; a repository may have other patterns.
 *
 * @param size - Bytes.
 * @see https://huggingface.co/docs/hub/repositories-getting-started
 */
export function isLfs(path: string, size: number): boolean {
  if (size > MOST_GIT_BYTES || path.startsWith(SAVED_MODEL)) return true
  const name = path.slice(path.lastIndexOf('/') + 1)
  return ENDING.test(name) || PARTS.some((part) => name.includes(part))
}
