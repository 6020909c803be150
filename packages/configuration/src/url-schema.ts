import { z } from 'zod'

/** @returns What is wrong with it. It is not shown: it may hold a password. */
function wrongWithUrl(text: string): string | undefined {
  const url = URL.parse(text)
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) return 'is no URL of http or https'
  if (url.username !== '' || url.password !== '') return 'has a user or a password; token-env or token-file is for them'
  if (url.search !== '' || url.hash !== '') return 'has a query or a fragment'
  return undefined
}

/** A URL of http or https, with nothing in it that could be a secret. */
export const plainUrl: z.ZodType<string> = z.string().superRefine((text, context) => {
  const message = wrongWithUrl(text)
  if (message !== undefined) context.addIssue({ code: 'custom', message })
})
