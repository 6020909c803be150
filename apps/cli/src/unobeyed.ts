import { storageOf, type Configuration } from '@x/configuration'
import { InvalidInputError } from '@x/storage-core'

/**
 * What a configuration says and no command does yet is refused: who wrote that copies are made would take it for done.
 *
 * @throws {InvalidInputError} It has a backend, or asks beside slow sources.
 */
export function assertObeyed(configuration: Configuration): void {
  const { backends, hedge } = storageOf(configuration)
  const [backend] = backends
  const [file = ''] = configuration.files
  if (backend) {
    const message = `${backend.place}: backends.${backend.name}: no command opens it in this version; name one on the command line, as --backend or --from`
    throw new InvalidInputError(message, { input: file })
  }
  if (hedge === 'off') return
  throw new InvalidInputError(`${file}: storage.hedge: no command does so in this version; take it out`, {
    input: file,
  })
}
