import { onTestFinished, type TestContext } from 'vitest'

import { versitygwOrSkip } from '../../../tooling/versitygw/find-versitygw.ts'
import { startVersitygw, type S3Server } from '../../../tooling/versitygw/start-versitygw.ts'
import { createS3Client, type S3Client, type S3ClientOptions } from '../src/index.ts'

export async function serverFor(context: Pick<TestContext, 'skip'>): Promise<S3Server> {
  const server = await startVersitygw(versitygwOrSkip(context))
  onTestFinished(() => server.close())
  return server
}

export const clientOf = (
  { region, credentials, url }: Pick<S3Server, 'region' | 'credentials' | 'url'>,
  options: Partial<S3ClientOptions> = {},
): S3Client => createS3Client({ endpoint: url, region, credentials, retry: { attempts: 1 }, ...options })

export const SECRET = 'a-secret-nobody-may-see'

/** A client of a server that answers what a test says. */
export function answering(
  answer: (request: Request) => Response | Promise<Response>,
  options: Partial<S3ClientOptions> = {},
): { client: S3Client; seen: Request[] } {
  const seen: Request[] = []
  const client = createS3Client({
    endpoint: 'https://s3.example.org',
    credentials: { accessKeyId: 'key', secretAccessKey: SECRET },
    retry: { attempts: 1 },
    fetch: async (input, init) => {
      const request = new Request(input, init)
      seen.push(request)
      return answer(request)
    },
    ...options,
  })
  return { client, seen }
}

export const errorAnswer = (status: number, code: string, more = '', headers: Record<string, string> = {}): Response =>
  new Response(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>${SECRET}</Message>${more}</Error>`, {
    status,
    headers,
  })

export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}

export async function textOf(pieces: AsyncIterable<Uint8Array>): Promise<string> {
  return new Blob((await all(pieces)).map((piece) => Uint8Array.from(piece))).text()
}
