export const CONFIG: string = 'config.json'

/** What a directory lacks that is no model; for messages. */
export const NO_MODEL: string = `it has no ${CONFIG}, and no .gguf file at its top`

/** Whether a file makes its directory a model: `config.json`, or any `.gguf` at the top, which holds its own configuration. */
export const makesModel = (path: string): boolean => path === CONFIG || /^[^/]+\.gguf$/i.test(path)

/** Whether the paths of a directory's files, relative to it, are those of a model. */
export function isModelListing(paths: Iterable<string>): boolean {
  for (const path of paths) if (makesModel(path)) return true
  return false
}
