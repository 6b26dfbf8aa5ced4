import { ApiError, explain } from "./api.ts";
import { byId, h } from "./dom.ts";
import { brand, themeButton } from "./header.ts";
import { Session } from "./session.ts";

/** Shows the sign-in form until a valid key is entered. */
export function signIn(enter: (session: Session) => void): void {
  document.title = "Sign in · petstream";
  byId("top").replaceChildren(brand(), h("div", { class: "grow" }), themeButton());
  const key = h("input", {
    id: "key",
    type: "password",
    name: "key",
    required: true,
    autocomplete: "off",
    spellcheck: "false",
    placeholder: "sk-…",
    "aria-describedby": "key-error key-hint",
  });
  const error = h("p", { class: "error-text", id: "key-error", role: "alert" });
  const remember = h("input", { type: "checkbox", id: "keep", name: "keep" });
  const button = h("button", { class: "primary wide", type: "submit", text: "Sign in" });

  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    button.disabled = true;
    error.textContent = "";
    key.removeAttribute("aria-invalid");
    try {
      const session = await Session.open(key.value.trim());
      if (remember.checked) session.remember();
      enter(session);
    } catch (failure) {
      const isInvalid = failure instanceof ApiError && failure.status === 401;
      error.textContent = isInvalid ? "This key is not known here, or it is no longer good." : explain(failure);
      key.setAttribute("aria-invalid", "true");
      key.focus();
      key.select();
    } finally {
      button.disabled = false;
    }
  };

  const form = h(
    "form",
    { class: "card sign-in", onsubmit: (event: SubmitEvent) => void submit(event) },
    h("h1", { text: "Sign in" }),
    h("p", { class: "muted", text: "Watch the store live, chat with it, see the proxy work." }),
    h("div", { class: "field" }, h("label", { for: "key", text: "API key" }), key, error),
    h("p", {
      class: "hint",
      id: "key-hint",
      text: "The server printed its first key when it started; petstream keys create makes more.",
    }),
    h("label", { class: "check" }, remember, "Keep it until this tab is closed"),
    button,
  );
  byId("main").replaceChildren(form);
  key.focus();
}
