import { openStaticSource, type StaticSourceOptions } from '@x/backend-gateway'

import type { WebSource } from './sources.ts'

/** A folder in the static layout (`export --static`) on any web server or in a bucket. */
export const staticSource = (url: string, options: Omit<StaticSourceOptions, 'url'> = {}): WebSource => ({
  kind: 'content',
  label: URL.parse(url)?.host ?? url,
  open: () => openStaticSource({ ...options, url }),
})
