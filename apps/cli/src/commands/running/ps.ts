import { ServerError, type ServerReport } from '@x/server/running'
import { isStorageError } from '@x/storage-core'
import { reasonOf } from '@x/storage-core/backend'

import type { Command } from '../../command.ts'
import { formatBytes, formatCount, formatTable, printable } from '../../format.ts'
import { noOperands } from '../../operands.ts'
import { ABOUT_SERVERS, runningServers, SERVER, type RunningServer } from './running-servers.ts'

export const ps: Command = {
  name: 'ps',
  needsStore: true,
  operands: '',
  summary: 'servers that run on the store, the models that they serve, and what these take',
  options: SERVER,
  notes: `${ABOUT_SERVERS}\nBytes are those of weights in memory; a model that was not used for long may have none, and is loaded again when it is asked for.`,
  async run(context, operands, values) {
    noOperands(operands)
    const { printer, signal } = context
    for (const server of await runningServers(context, values)) {
      const report = await reportOf(server, signal)
      await printer.result(
        { url: server.url, ...('why' in report ? { pid: server.file?.pid, answers: false, why: report.why } : report) },
        toText(server.url, report),
      )
    }
  },
}

/** That it does not answer is an answer, of one that was found by its file: it may be about to end. */
async function reportOf({ client, file }: RunningServer, signal: AbortSignal): Promise<ServerReport | { why: string }> {
  try {
    const report = await client.report({ signal })
    const isSame = !file || (report.server.pid === file.pid && report.server.startedAt === file.startedAt)
    return isSame ? report : { why: 'another server answers there' }
  } catch (error) {
    const isOfServer = error instanceof ServerError || (isStorageError(error) && error.code === 'BACKEND')
    if (!file || !isOfServer) throw error
    return { why: reasonOf(error) }
  }
}

function toText(url: string, report: ServerReport | { why: string }): string {
  if ('why' in report) return `${printable(url)}  ${printable(report.why)}`
  const { server, models } = report
  const state = [
    `pid ${server.pid}`,
    `since ${printable(server.startedAt)}`,
    `${formatCount(server.inFlight, 'request')} under way`,
    ...(server.isClosing ? ['closing'] : []),
  ]
  const rows = models.map(({ name, cid, tasks, requests, held }) => {
    const loaded = held.filter(({ state: each }) => each !== 'open')
    const bytes = loaded.reduce((sum, one) => sum + one.bytes, 0)
    const on = [...new Set(loaded.flatMap(({ executionProvider }) => executionProvider ?? []))]
    return ['', name, cid, tasks.join(',') || 'raw-tensors', formatBytes(bytes), on.join(','), `${requests} asked`].map(
      printable,
    )
  })
  return [`${printable(url)}  ${state.join(', ')}`, ...(rows.length === 0 ? [] : [formatTable(rows)])].join('\n')
}
