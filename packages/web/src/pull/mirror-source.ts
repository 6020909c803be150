import { httpSource } from '@x/transfer'

import type { WebSource } from './sources.ts'

const escaped = (path: string): string => path.split('/').map(encodeURIComponent).join('/')

/** A plain web server with a model's files below a URL. It knows no directories: those come from another source. */
export const mirrorSource = (url: string): WebSource => ({
  kind: 'bytes',
  label: URL.parse(url)?.host ?? url,
  open() {
    const base = url.endsWith('/') ? url : `${url}/`
    return httpSource({ name: base, url: ({ path }) => new URL(escaped(path), base).href })
  },
})
