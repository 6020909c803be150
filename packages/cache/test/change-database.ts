import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

/** Does to a cache's file what no cache does. */
export function changeDatabase(directory: string, sql: string, file = 'v2-1.sqlite'): void {
  const database = new DatabaseSync(join(directory, file))
  try {
    database.exec(sql)
  } finally {
    database.close()
  }
}

/** The first row. */
export function askDatabase(directory: string, sql: string, file = 'v2-1.sqlite'): Record<string, unknown> | undefined {
  const database = new DatabaseSync(join(directory, file))
  try {
    return database.prepare(sql).get()
  } finally {
    database.close()
  }
}
