import { request } from 'undici'

/** Requests that the server has not answered to their end, that for this among them or not. */
export async function inFlight(url: string): Promise<number> {
  // Over a connection that is closed then.
  const { body } = await request(`${url}/metrics`, { reset: true })
  const text = await body.text()
  const [, count] = /^ipfs_accelerate_http_requests_in_flight(?:\{.*\})? (\d+)$/m.exec(text) ?? []
  if (count === undefined) throw new Error('the server does not say how many requests are under way')
  return Number(count)
}
