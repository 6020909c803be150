import { noAnswer } from './worker-client.ts'

/** @throws {ProviderRefusedError} What an execution provider was asked for did not come in time. */
export async function within<T>(limitMs: number, answer: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(noAnswer(limitMs)), limitMs)
  try {
    return await Promise.race([answer, late.promise])
  } finally {
    clearTimeout(timer)
  }
}
