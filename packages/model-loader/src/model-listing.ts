export const CONFIG: string = 'config.json'

/** What a directory lacks that is no model; for messages. */
export const NO_MODEL: string = `it has no ${CONFIG}, and no .gguf or .onnx file at its top`

/** Whether a file makes its directory a model: `config.json`, or any `.gguf` or `.onnx` at the top, which says itself what it takes. */
export const makesModel = (path: string): boolean => path === CONFIG || /^[^/]+\.(?:gguf|onnx)$/i.test(path)

/** Whether the paths of a directory's files, relative to it, are those of a model. */
export function isModelListing(paths: Iterable<string>): boolean {
  for (const path of paths) if (makesModel(path)) return true
  return false
}
