/** The built page: a folder of static files with an `index.html`. It is there once this package was built. */
export const pageDirectory: URL = new URL('../dist/page/', import.meta.url)
