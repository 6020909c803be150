// Nothing is bundled: the files that index.html and worker.js name are copied from the packages, once for each version.
import { copyFile, cp } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

await cp(new URL('./import-map/', import.meta.resolve('@x/web')), new URL('./vendor/', import.meta.url), {
  recursive: true,
})
for (const runtime of ['jspi', 'asyncify'].map((name) => `ort-wasm-simd-threaded.${name}`)) {
  for (const file of [`${runtime}.mjs`, `${runtime}.wasm`]) {
    const from = fileURLToPath(import.meta.resolve(`onnxruntime-web/${file}`))
    await copyFile(from, new URL(`./vendor/${file}`, import.meta.url))
  }
}
