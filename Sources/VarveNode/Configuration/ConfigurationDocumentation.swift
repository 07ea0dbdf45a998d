/// The tables of `docs/configuration.md`, from the schema.
package enum ConfigurationDocumentation {
    package static func markdown() -> String {
        var text = ""
        for section in ConfigurationSchema.sections {
            for variant in section.variants {
                text += "### `\(section.key)\(variant.tag.map { ": \($0)" } ?? "")`\n\n\(variant.help)\n\n"
                if !variant.fields.isEmpty { text += table(variant) }
            }
        }
        return text
    }

    private static func table(_ variant: ConfigurationSection.Variant) -> String {
        var configuration = Configuration()
        variant.choose(&configuration)
        var text = "| key | takes | default | |\n|---|---|---|---|\n"
        for field in variant.fields {
            let fallback =
                switch field.fallback {
                case .required: "*required*"
                case .shown(let show): show(configuration)
                }
            text += "| `\(field.key)` | \(field.expected) | \(fallback) | \(field.help) |\n"
        }
        return text + "\n"
    }
}
