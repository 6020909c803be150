/** What the environment says about the hub, by the rules of huggingface_hub 2. */
export interface HubSettings {
  /** `HF_ENDPOINT`, without a slash at its end. There is no default: where it is absent, somebody else has to name one. */
  endpoint: string | undefined
  /** `HF_TOKEN`, else `HUGGING_FACE_HUB_TOKEN`. */
  token: string | undefined
  /**
   * The file to read a token from, with `cleanToken`, where `token` is absent: `HF_TOKEN_PATH`, else `token` in `HF_HOME`.
   * It need not be there. `undefined` with a token from the environment, and with `HF_HUB_DISABLE_IMPLICIT_TOKEN`.
   */
  tokenPath: string | undefined
  /** `HF_HUB_OFFLINE`, else `TRANSFORMERS_OFFLINE`. */
  offline: boolean
  /** `HF_HOME`, else `huggingface` in `XDG_CACHE_HOME`, else in `.cache` of the user's own directory. */
  home: string | undefined
  /** The cache: `HF_HUB_CACHE`, else `HUGGINGFACE_HUB_CACHE`, else `hub` in `home`. */
  cacheDirectory: string | undefined
}

export interface HubSettingsOptions {
  /** The user's own directory, for `~` and for what is not said. Default: none, then what needs it is `undefined`. */
  homeDirectory?: string | undefined
  /** Between the parts of a path. Default `/`. */
  separator?: string | undefined
}

/** Reads variables alone: no file, no other state. Words other than `1`, `on`, `yes` and `true` are false, as there. */
export function hubSettings(
  environment: Readonly<Record<string, string | undefined>>,
  { homeDirectory, separator = '/' }: HubSettingsOptions = {},
): HubSettings {
  // An empty variable is one that was unset the only way some shells can.
  const read = (...names: string[]): string | undefined => names.map((name) => environment[name]).find(Boolean)
  const isOn = (...names: string[]): boolean => /^(?:1|on|yes|true)$/i.test(read(...names) ?? '')
  const path = (text: string | undefined): string | undefined =>
    text === undefined ? undefined : expandPath(text, environment, homeDirectory)
  const within = (directory: string | undefined, name: string): string | undefined =>
    directory === undefined ? undefined : `${directory.replace(/[/\\]$/, '')}${separator}${name}`

  const cacheHome = read('XDG_CACHE_HOME') ?? within(homeDirectory, '.cache')
  const home = path(read('HF_HOME') ?? within(cacheHome, 'huggingface'))
  const token = cleanToken(read('HF_TOKEN', 'HUGGING_FACE_HUB_TOKEN'))
  const isImplicit = !isOn('HF_HUB_DISABLE_IMPLICIT_TOKEN')
  return {
    endpoint: read('HF_ENDPOINT')?.replace(/\/+$/, '') || undefined,
    token: isImplicit ? token : undefined,
    tokenPath: isImplicit && token === undefined ? path(read('HF_TOKEN_PATH') ?? within(home, 'token')) : undefined,
    offline: isOn('HF_HUB_OFFLINE', 'TRANSFORMERS_OFFLINE'),
    home,
    cacheDirectory: path(read('HF_HUB_CACHE', 'HUGGINGFACE_HUB_CACHE') ?? within(home, 'hub')),
  }
}

/** What a variable or a token file holds, without line ends and spaces around; `undefined` when nothing is left. */
export function cleanToken(text: string | undefined): string | undefined {
  return text?.replaceAll(/[\r\n]/g, '').trim() || undefined
}

/** As Python's `expandvars(expanduser(...))`: `~` in front, `$NAME` and `${NAME}`; what is not known stays as it is. */
function expandPath(
  text: string,
  environment: Readonly<Record<string, string | undefined>>,
  homeDirectory: string | undefined,
): string {
  const atHome = homeDirectory === undefined ? text : text.replace(/^~(?=$|[/\\])/, () => homeDirectory)
  return atHome.replaceAll(
    /\$(?:(\w+)|\{([^{}]*)\})/g,
    (found, bare?: string, braced?: string) => environment[bare ?? braced ?? ''] ?? found,
  )
}
