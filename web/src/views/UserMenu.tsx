/** Who is signed in, the theme, and the way out. */
import { Check, CircleUser, LogOut, Monitor, Moon, Sun } from "lucide-react";
import { useStore } from "zustand";
import { Menu, MenuChoice, MenuChoices, MenuItem, MenuLabel, MenuLine } from "../parts/Menu";
import { parley } from "../rpc/parley";
import { useSignIn } from "../state/account";
import { setTheme, theme as themeStore, type Theme } from "../state/theme";

const THEMES = [
  { theme: "system", name: "As the system", Icon: Monitor },
  { theme: "light", name: "Light", Icon: Sun },
  { theme: "dark", name: "Dark", Icon: Moon },
] as const;

export function UserMenu({ onGo }: { onGo: (path: string) => void }) {
  const user = useSignIn()?.user;
  const { theme } = useStore(themeStore);
  if (!user) return null;
  return (
    <Menu
      side="top"
      align="start"
      className="w-60"
      trigger={
        <button
          type="button"
          className="flex min-w-0 flex-1 items-center gap-2.5 rounded-lg p-1.5 text-left transition-colors hover:bg-hover data-[state=open]:bg-hover"
        >
          {/* The letter is drawn, not written: it is no part of what the button is called. */}
          <span
            data-letter={Array.from(user.displayName || user.email)[0]}
            className="grid size-7 shrink-0 place-items-center rounded-full bg-accent-soft text-xs font-semibold text-accent uppercase before:content-[attr(data-letter)]"
            aria-hidden="true"
          />
          <span className="truncate text-sm font-medium">
            <span className="sr-only">Account of </span>
            {user.displayName}
          </span>
        </button>
      }
    >
      <MenuLabel>
        <span className="block truncate">{user.email}</span>
      </MenuLabel>
      <MenuItem onSelect={() => onGo("/account")}>
        <CircleUser className="size-4" aria-hidden="true" />
        Account
      </MenuItem>
      <MenuLine />
      <MenuChoices value={theme} onValueChange={(next) => setTheme(next as Theme)}>
        {THEMES.map(({ theme: option, name, Icon }) => (
          <MenuChoice key={option} value={option} onSelect={(event) => event.preventDefault()}>
            <Icon className="size-4 text-quiet" aria-hidden="true" />
            <span className="flex-1">{name}</span>
            <Check className="size-4 text-accent group-data-[state=unchecked]:invisible" aria-hidden="true" />
          </MenuChoice>
        ))}
      </MenuChoices>
      <MenuLine />
      <MenuItem
        onSelect={() => {
          // Signed out here whether or not the server hears of it.
          parley.signOut().catch(() => undefined);
        }}
      >
        <LogOut className="size-4" aria-hidden="true" />
        Sign out
      </MenuItem>
    </Menu>
  );
}
