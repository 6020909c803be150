import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { cleanToken, hubSettings } from '@x/hub-client'
import { expect, it } from 'vitest'

import { hubCacheDirectory } from '../src/index.ts'
import { pythonOrSkip } from './python-or-skip.ts'
import { tempDirectory } from './support.ts'
import { writeFiles } from './write-files.ts'

const ENVIRONMENTS: readonly Record<string, string>[] = [
  {},
  { HF_HOME: '/h' },
  { HF_HOME: '~/h', HF_HUB_CACHE: '$HF_HOME/c' },
  { XDG_CACHE_HOME: '/x', HF_TOKEN_PATH: '${XDG_CACHE_HOME}/t' },
  { HUGGINGFACE_HUB_CACHE: '/old', HF_HUB_OFFLINE: '1' },
  { HUGGINGFACE_HUB_CACHE: '/old', HF_HUB_CACHE: '/new', HF_HUB_OFFLINE: 'TRUE' },
  { HF_ENDPOINT: 'http://127.0.0.1:9/hub/', HF_HUB_OFFLINE: 'yes', HF_TOKEN: ' a \n' },
  { HUGGING_FACE_HUB_TOKEN: 'b', TRANSFORMERS_OFFLINE: 'on', HF_HOME: '$NOTHING/x' },
  { HF_TOKEN: 'a', HUGGING_FACE_HUB_TOKEN: 'b', HF_HUB_OFFLINE: '0', TRANSFORMERS_OFFLINE: '1' },
  { HF_TOKEN: '', HF_HUB_OFFLINE: 'enabled' },
  { HF_HUB_OFFLINE: '', TRANSFORMERS_OFFLINE: 'True' },
]

const SCRIPT = `
import importlib, json, os
from huggingface_hub import constants, get_token
kept = dict(os.environ)
answers = []
for environment in json.loads(os.environ["ENVIRONMENTS"]):
    os.environ.clear()
    os.environ.update({"HOME": kept["HOME"], "PATH": kept["PATH"], **environment})
    importlib.reload(constants)
    answers.append({
        "endpoint": constants.ENDPOINT if "HF_ENDPOINT" in environment else None,
        "home": constants.HF_HOME,
        "cache": constants.HF_HUB_CACHE,
        "offline": constants.HF_HUB_OFFLINE,
        "token": get_token(),
    })
print(json.dumps(answers))
`

it.for([1, 2] as const)('variables mean what they mean to huggingface_hub %i', async (major, context) => {
  const HOME = await tempDirectory()
  await writeFiles(HOME, { '.cache/huggingface/token': 'from-file\n' })
  const ours = ENVIRONMENTS.map(async (environment) => {
    const settings = hubSettings(environment, { homeDirectory: HOME })
    const { endpoint, home, offline, tokenPath } = settings
    const isThere = tokenPath !== undefined && existsSync(tokenPath)
    const token = settings.token ?? (isThere ? cleanToken(await readFile(tokenPath, 'utf8')) : undefined)
    const cache = hubCacheDirectory(environment, HOME)
    return {
      endpoint: endpoint ?? null,
      home,
      cache: cache.replace(join(process.cwd(), '/'), ''),
      offline,
      token: token ?? null,
    }
  })
  const run = pythonOrSkip(context, major)
  expect(await Promise.all(ours)).toEqual(await run(SCRIPT, { HOME, ENVIRONMENTS: JSON.stringify(ENVIRONMENTS) }))
})
