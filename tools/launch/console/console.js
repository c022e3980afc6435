// The quick-create form and the page of a stack. As in the real console, the region is in the query of the address, and
// everything else follows #, which no server sees.

const region = new URLSearchParams(location.search).get("region")
const element = (id) => document.getElementById(id)
// The time between two looks at a stack, in milliseconds.
const PAUSE = 250

addEventListener("hashchange", show)
element("region").textContent = region
element("create").addEventListener("submit", (event) => {
  event.preventDefault()
  attempt(create)
})
element("delete").addEventListener("click", () => attempt(remove))
show()

function show() {
  const { view, values } = address()
  element("create").hidden = true
  element("stack").hidden = view !== "/stacks/stackinfo"
  if (view === "/stacks/create/review") attempt(() => fill(values))
  else if (view === "/stacks/stackinfo") attempt(() => follow(values.get("stackId")))
  else report(`The console has no view ${view}.`)
}

function address() {
  const [view, query] = location.hash.slice(1).split("?")
  return { view, values: new URLSearchParams(query) }
}

async function attempt(action) {
  element("problem").hidden = true
  try {
    await action()
  } catch (error) {
    report(error.message)
  }
}

function report(text) {
  element("problem").textContent = text
  element("problem").hidden = false
}

async function call(name, args) {
  const response = await fetch(`/api/${name}`, { method: "POST", body: JSON.stringify({ region, ...args }) })
  const answer = await response.json()
  if (!response.ok) throw new Error(answer)
  return answer
}

// The form of the template in templateURL. param_NAME sets a field, except a hidden one.
async function fill(values) {
  const url = values.get("templateURL")
  const template = await call("template", { template_url: url })
  element("template-url").textContent = url
  element("description").textContent = template.description
  element("stack-name").value = values.get("stackName") ?? ""
  element("groups").replaceChildren(...template.groups.map((group) => fieldset(group, values)))
  // A template with macros, such as the SAM transform, needs one more consent.
  const capabilities = [...template.capabilities, ...template.macros.map(() => "CAPABILITY_AUTO_EXPAND")]
  element("capabilities-section").hidden = capabilities.length === 0
  element("capabilities").replaceChildren(...capabilities.map(consent))
  element("create").hidden = false
}

function fieldset(group, values) {
  const set = make("fieldset", {}, make("legend", { textContent: group.label }))
  set.append(...group.fields.map((field) => row(field, values)))
  return set
}

function row(field, values) {
  const { name, label, description, hidden, choices } = field
  const value = (hidden ? null : values.get(`param_${name}`)) ?? field.default
  const note = make("p", { id: `note-${name}`, textContent: description })
  const options = choices.map((choice) => make("option", { value: choice, textContent: choice }))
  const input = choices.length
    ? make("select", { id: name, name }, ...options)
    : make("input", { id: name, name, type: hidden ? "password" : "text", autocomplete: "off" })
  input.value = value
  input.setAttribute("aria-describedby", note.id)
  return make("div", { className: "field" }, make("label", { htmlFor: name, textContent: label }), note, input)
}

function consent(capability) {
  const box = make("input", { type: "checkbox", required: true, value: capability })
  return make("label", {}, box, ` I acknowledge that AWS CloudFormation might create IAM resources (${capability}).`)
}

async function create() {
  const inputs = [...element("groups").querySelectorAll("input, select")]
  const boxes = [...element("capabilities").querySelectorAll("input:checked")]
  const id = await call("create", {
    stack_name: element("stack-name").value,
    template_url: address().values.get("templateURL"),
    parameters: Object.fromEntries(inputs.map((input) => [input.name, input.value])),
    capabilities: boxes.map((box) => box.value),
  })
  location.hash = `/stacks/stackinfo?${new URLSearchParams({ stackId: id })}`
}

async function remove() {
  await call("delete", { stack_id: address().values.get("stackId") })
}

// Shows a stack until it is deleted, or another view is opened.
async function follow(id) {
  const stack = await call("stack", { stack_id: id })
  element("name").textContent = stack.name
  element("status").textContent = stack.status
  fillTable("outputs", stack.outputs)
  fillTable("events", stack.events)
  element("delete").disabled = stack.status.endsWith("IN_PROGRESS") || stack.status === "DELETE_COMPLETE"
  if (address().values.get("stackId") === id && stack.status !== "DELETE_COMPLETE") {
    setTimeout(() => attempt(() => follow(id)), PAUSE)
  }
}

function fillTable(id, rows) {
  const cells = (row) => row.map((text) => make("td", { textContent: text }))
  element(id).tBodies[0].replaceChildren(...rows.map((row) => make("tr", {}, ...cells(row))))
}

function make(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties)
  made.append(...children)
  return made
}
