import { InvalidInputError } from '@x/cid'

import { serveModels, type ServiceWorkerScope } from './service-worker.ts'

// A service worker in one file, for sites that bundle nothing. What it is told stands in its own URL:
// `standalone-service-worker.js?host=https://hub.example.org&directory=models&offline=strict`.
declare const self: ServiceWorkerScope & { location: { href: string } }

const given = new URL(self.location.href).searchParams

function offlineOf(text: string | null): 'prefer' | 'strict' | undefined {
  if (text === null || text === 'prefer' || text === 'strict') return text ?? undefined
  throw new InvalidInputError(`offline=${text} is neither prefer nor strict`, { input: text })
}

serveModels(self, {
  directory: given.get('directory') ?? undefined,
  hosts: given.has('host') ? given.getAll('host') : undefined,
  offline: offlineOf(given.get('offline')),
})
