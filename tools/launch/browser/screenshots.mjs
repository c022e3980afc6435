// Screenshots for the docs. They are taken only if SCREENSHOTS names a folder.

import { join } from "node:path"

export async function shoot(tab, name, options = {}) {
  if (process.env.SCREENSHOTS) await tab.screenshot({ path: join(process.env.SCREENSHOTS, `${name}.png`), ...options })
}
