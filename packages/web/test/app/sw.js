import { serveModels } from '@x/web/service-worker'

serveModels(self)
