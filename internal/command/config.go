package command

import (
	"cmp"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

func (s *session) configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Print the configuration that holds, secrets masked",
		Long: "Prints the configuration that holds: flags and environment over the file over the defaults, with what a\n" +
			"route or a source leaves out filled in. A secret that is looked up elsewhere is shown as its reference,\n" +
			"any other is masked; none needs to be set. The text is YAML that --config takes again, though nothing\n" +
			"starts with a mask for a secret.",
		Args: exactly(0, "none"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := s.load(cmd)
			if err != nil {
				return err
			}
			// SYSDIG_SECURE_URL has no key of its own: it stands for this one.
			cfg.Sysdig.AppURL = cmp.Or(cfg.Sysdig.AppURL, cfg.Sysdig.SecureURL)
			return s.print(cfg, func(w io.Writer) error {
				text, err := cfg.YAML()
				if err == nil {
					_, err = w.Write(text)
				}
				if err != nil {
					return fmt.Errorf("write output: %w", err)
				}
				return nil
			})
		},
	}
	for _, setting := range settings() {
		addSettings(cmd, setting.flag)
	}
	return cmd
}
