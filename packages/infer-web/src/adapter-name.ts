/** Of a GPU, as the browser says it: vendor, architecture and description. */
export function adapterName({ vendor, architecture, description }: GPUAdapterInfo): string {
  return [vendor, architecture, description].filter(Boolean).join(' ') || 'unnamed'
}
