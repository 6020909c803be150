import { homedir } from 'node:os'
import { resolve, sep } from 'node:path'

import { hubSettings } from '@x/hub-client'

/**
 * Where huggingface_hub keeps its cache: `HF_HUB_CACHE`, else `HUGGINGFACE_HUB_CACHE`, else `hub` in `HF_HOME`, else in
 * `huggingface` of `XDG_CACHE_HOME` or of `~/.cache`. It need not be there.
 */
export function hubCacheDirectory(
  environment: Readonly<Record<string, string | undefined>>,
  homeDirectory: string = homedir(),
): string {
  const { cacheDirectory = '' } = hubSettings(environment, { homeDirectory, separator: sep })
  return resolve(cacheDirectory)
}
