// Launches the stack, or deletes it, as a person does in a browser. Reads a task from standard input, as JSON, and
// prints what it saw, even after a failure. Progress is printed to standard error.

import assert from "node:assert/strict"
import { text } from "node:stream/consumers"

import { launch as launchBrowser } from "./installed.mjs"
import { shoot } from "./screenshots.mjs"

const task = JSON.parse(await text(process.stdin))
const seen = { addresses: [] }
// In milliseconds. Creating the stack takes some seconds.
const PATIENCE = 120_000

// The real host names stay in the address bar. Only these two are answered, each by its stand-in on this machine.
const HOSTS = {
  [new URL(task.page).host]: (url) => `${task.s3}/${url.host.split(".")[0]}${url.pathname}`,
  [task.console]: (url) => `${task.stand_in}${url.pathname}${url.search}`,
}

async function answer(route) {
  const url = new URL(route.request().url())
  seen.addresses.push(url.href)
  const place = HOSTS[url.host]
  return place ? route.fulfill({ response: await route.fetch({ url: place(url) }) }) : route.abort()
}

async function launch(tab) {
  await tab.goto(task.page)
  say(`Opened ${task.page}`)
  await tab.getByRole("link", { name: `${task.title} ${task.region}` }).click()
  await tab.waitForURL((url) => url.host === task.console)
  say(`Clicked on ${task.title}. The console opened ${tab.url()}`)
  await tab.locator("form, #problem").filter({ visible: true }).waitFor()
  if (await tab.isVisible("#problem")) throw new Error(await tab.textContent("#problem"))
  Object.assign(seen, await readForm(tab))
  await fill(tab)
  await tab.getByRole("button", { name: "Create stack" }).click()
  say("Pasted the token, accepted the IAM resources and chose Create stack.")
  await end(tab)
}

async function readForm(tab) {
  return {
    template: await tab.textContent("#template-url"),
    name: await tab.inputValue("#stack-name"),
    groups: await tab.$$eval("#groups fieldset", (sets) =>
      sets.map((set) => [...set.querySelectorAll("legend, label")].map((each) => each.textContent)),
    ),
    consents: await tab.$$eval("#capabilities input", (boxes) => boxes.map((box) => box.value)),
  }
}

async function fill(tab) {
  const token = tab.getByLabel("Coiled token", { exact: true })
  assert.equal(await token.getAttribute("type"), "password")
  await token.fill(task.token)
  await shoot(tab, "launch-form")
  // There is no Coiled on this machine, only a stand-in. On AWS this field keeps its default.
  await tab.getByLabel("Coiled server", { exact: true }).fill(task.coiled)
  await tab.getByRole("checkbox").check()
}

async function remove(tab) {
  const stack = new URLSearchParams({ stackId: task.stack })
  await tab.goto(`https://${task.console}/cloudformation/home?region=${task.region}#/stacks/stackinfo?${stack}`)
  await tab.getByRole("button", { name: "Delete" }).click()
  say("Chose Delete.")
  await end(tab)
}

// Waits until the console has created or deleted the stack, or reports a problem. Then reads the stack's page.
async function end(tab) {
  await tab.waitForFunction(
    (action) => {
      const status = document.getElementById("status").textContent
      // A stack that is being deleted is still CREATE_COMPLETE for a moment.
      const ended = /(COMPLETE|FAILED)$/.test(status) && !(action === "delete" && status === "CREATE_COMPLETE")
      return ended || !document.getElementById("problem").hidden
    },
    task.action,
    { timeout: PATIENCE },
  )
  seen.status = await tab.textContent("#status")
  seen.stack = new URLSearchParams(new URL(tab.url()).hash.split("?")[1]).get("stackId") ?? ""
  seen.outputs = Object.fromEntries(await rows(tab, "outputs"))
  seen.events = await rows(tab, "events")
  seen.problem = await tab.textContent("#problem")
  say(`The stack is ${seen.status || `not created: ${seen.problem}`}.`)
}

// The texts of a table's cells.
async function rows(tab, id) {
  return tab.$$eval(`#${id} tbody tr`, (found) => found.map((row) => [...row.cells].map((cell) => cell.textContent)))
}

function say(line) {
  console.error(line)
}

const browser = await launchBrowser()
try {
  const context = await browser.newContext({ viewport: { width: 1280, height: 1000 } })
  context.setDefaultTimeout(20_000)
  await context.route("**", answer)
  const tab = await context.newPage()
  tab.on("framenavigated", (frame) => seen.addresses.push(frame.url()))
  await (task.action === "launch" ? launch(tab) : remove(tab))
} catch (error) {
  say(`This failed: ${error.message}`)
} finally {
  await browser.close()
}
console.log(JSON.stringify(seen))
