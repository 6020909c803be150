// The .gitattributes that the hub writes into a new model repository.
const ENDINGS =
  '7z arrow bin bz2 ckpt ftz gz h5 joblib lfs.* mlmodel model msgpack npy npz onnx ot parquet pb pickle pkl pt pth rar safetensors tar.* tar tflite tgz wasm xz zip zst'
const PATTERN = new RegExp(
  `\\.(?:${ENDINGS.split(' ')
    .map((ending) => ending.replaceAll('.', '\\.').replaceAll('*', '[^/]*'))
    .join('|')})$`,
)
// `saved_model/**/*`
const SAVED_MODEL = /^saved_model\//
// `*tfevents*`
const TF_EVENTS = /tfevents[^/]*$/
// A larger file is refused by the hub unless it is in LFS.
const MOST_GIT_BYTES = 10 * 1024 * 1024

/**
 * Whether the hub keeps such a file in LFS, as far as its defaults go; a repository may have other patterns.
 *
 * @param size - Bytes.
 * @see https://huggingface.co/docs/hub/repositories-getting-started
 */
export const isLfs = (path: string, size: number): boolean =>
  size > MOST_GIT_BYTES || PATTERN.test(path) || SAVED_MODEL.test(path) || TF_EVENTS.test(path)
