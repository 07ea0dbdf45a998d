// What is known of the terminal, and colours for it.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

package enum Terminal {
    package static let standardInput: Int32 = 0
    package static let standardOutput: Int32 = 1
    package static let standardError: Int32 = 2

    package static func isTerminal(_ descriptor: Int32) -> Bool { isatty(descriptor) == 1 }

    /// Columns of the terminal behind a descriptor; nil when there is none.
    package static func width(_ descriptor: Int32) -> Int? {
        var size = winsize()
        guard isTerminal(descriptor), ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else {
            return nil
        }
        return Int(size.ws_col)
    }

    /// A closed output becomes an error of the write instead of this process' end. Called once, by the program.
    package static func ignoreBrokenPipes() { signal(SIGPIPE, SIG_IGN) }
}

/// Colours, or none of them.
package struct Palette: Sendable {
    package var isColoured: Bool

    package init(isColoured: Bool) { self.isColoured = isColoured }

    package static let plain = Palette(isColoured: false)

    /// Colours only for a terminal, and not for a dumb one or where `NO_COLOR` is set (https://no-color.org).
    package init(isTerminal: Bool, environment: [String: String]) {
        let refused = environment["NO_COLOR"].map { !$0.isEmpty } ?? false
        isColoured = isTerminal && !refused && environment["TERM"] != "dumb"
    }

    package init(for descriptor: Int32, environment: [String: String]) {
        self.init(isTerminal: Terminal.isTerminal(descriptor), environment: environment)
    }

    package func bold(_ text: String) -> String { styled(text, 1) }
    package func dim(_ text: String) -> String { styled(text, 2) }
    package func red(_ text: String) -> String { styled(text, 31) }
    package func green(_ text: String) -> String { styled(text, 32) }
    package func yellow(_ text: String) -> String { styled(text, 33) }
    package func cyan(_ text: String) -> String { styled(text, 36) }

    private func styled(_ text: String, _ code: Int) -> String {
        isColoured && !text.isEmpty ? "\u{1b}[\(code)m\(text)\u{1b}[0m" : text
    }
}
