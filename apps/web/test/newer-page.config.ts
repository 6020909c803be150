import { mergeConfig, type UserConfig } from 'vite'

import config from '../vite.config.ts'

/** The page with another worker, as a later version of it might have. */
const newer: UserConfig = mergeConfig(config, {
  worker: {
    plugins: () => [
      {
        name: 'newer',
        transform: (code: string, id: string) =>
          id.endsWith('src/engine/worker.ts') ? `${code}\nglobalThis.pageVersion = 'newer'` : undefined,
      },
    ],
  },
})

export default newer
