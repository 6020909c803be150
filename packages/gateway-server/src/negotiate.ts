import { parseAccept, type AcceptEntry } from './accept.ts'
import { carFormatOfQuery, mergeCarFormat, type CarFormat } from './car-parameters.ts'
import { HttpError } from './http-error.ts'

export const RAW_TYPE = 'application/vnd.ipld.raw'
export const CAR_TYPE = 'application/vnd.ipld.car'

/** What is sent. */
export type Negotiated = { format: 'raw' } | { format: 'car'; car: CarFormat }

/** Formats of other gateways; nothing is wrong with asking for them. */
const ELSEWHERE = new Set(['tar', 'json', 'cbor', 'dag-json', 'dag-cbor', 'ipns-record'])

/**
 * Chooses the format: `format` of the URL first, else the best of `Accept`.
 *
 * @param hasPath - Then a single block would prove nothing, and is not sent.
 * @throws {HttpError} 400: neither is there, or a parameter is not known. 406: none of what is asked for can be sent.
 * @see https://specs.ipfs.tech/http-gateways/trustless-gateway/#format-request-query-parameter
 */
export function negotiate(query: URLSearchParams, accept: string | null, hasPath: boolean): Negotiated {
  const format = query.get('format')
  const ofQuery = carFormatOfQuery(query)
  const entries = parseAccept(accept ?? '')
  if (format !== null && format !== '') return byQuery(format, { entries, ofQuery, hasPath })
  if ((accept ?? '').trim() === '') {
    throw new HttpError(400, `ask for a format: ?format=raw or ?format=car, or Accept: ${RAW_TYPE} or ${CAR_TYPE}`)
  }
  const best = byAccept(entries, ofQuery, hasPath)
  if (best) return best
  if (hasPath && isWanted(entries, RAW_TYPE)) throw blockWithPath()
  throw new HttpError(406, `this gateway sends ${RAW_TYPE} and ${CAR_TYPE};version=1;order=dfs`)
}

const blockWithPath = (): HttpError =>
  new HttpError(406, 'a block is asked for by its own CID, without a path; ?format=car proves a path')

function byQuery(
  format: string,
  { entries, ofQuery, hasPath }: { entries: readonly AcceptEntry[]; ofQuery: CarFormat; hasPath: boolean },
): Negotiated {
  if (format === 'raw') {
    if (hasPath) throw blockWithPath()
    return { format }
  }
  if (format === 'car') {
    const ofAccept = entries.filter(({ type, quality }) => type === CAR_TYPE && quality > 0)
    const car = ofAccept.length === 0 ? ofQuery : bestCar(ofAccept, ofQuery)?.car
    if (car === undefined) throw new HttpError(406, 'CARs are sent with version=1, order=dfs, and dups=y or dups=n')
    return { format, car }
  }
  if (ELSEWHERE.has(format)) throw new HttpError(406, `format ${format} is not sent here; raw and car are`)
  throw new HttpError(400, 'format is one of raw, car')
}

const isWanted = (entries: readonly AcceptEntry[], type: string): boolean =>
  entries.some((entry) => entry.type === type && entry.quality > 0)

interface Candidate {
  answer: Negotiated
  quality: number
  /** Which entry asked for it. */
  index: number
}

function byAccept(entries: readonly AcceptEntry[], ofQuery: CarFormat, hasPath: boolean): Negotiated | undefined {
  const candidates: Candidate[] = []
  const offer = (answer: Negotiated, entry: AcceptEntry | undefined): void => {
    if (entry) candidates.push({ answer, quality: entry.quality, index: entries.indexOf(entry) })
  }
  const wildcard = entries.find(({ type }) => type === 'application/*') ?? entries.find(({ type }) => type === '*/*')
  const raw = entries.find(({ type }) => type === RAW_TYPE)
  const cars = entries.filter(({ type }) => type === CAR_TYPE)
  const car = bestCar(cars, ofQuery)
  // Of what a wildcard allows, a block first: it is what a bare CID names.
  if (!hasPath) offer({ format: 'raw' }, raw ?? wildcard)
  if (car) offer({ format: 'car', car: car.car }, car.entry)
  else if (cars.length === 0) offer({ format: 'car', car: ofQuery }, wildcard)
  return candidates
    .filter(({ quality }) => quality > 0)
    .toSorted((a, b) => b.quality - a.quality || a.index - b.index)[0]?.answer
}

/** The first of the best that can be made. */
function bestCar(
  entries: readonly AcceptEntry[],
  ofQuery: CarFormat,
): { entry: AcceptEntry; car: CarFormat } | undefined {
  for (const entry of entries.toSorted((a, b) => b.quality - a.quality)) {
    const car = mergeCarFormat(entry.parameters, ofQuery)
    if (car) return { entry, car }
  }
  return undefined
}
