package command

import (
	"io"

	"github.com/spf13/cobra"

	"firebreak/internal/encryption"
)

// keysetCommand makes and rotates keysets where Google's tinkey is not at hand.
// None of its commands prints a key.
func (s *session) keysetCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keyset",
		Short: "Make and rotate the keyset that payloads are encrypted with",
		Long: "Makes and rotates keysets of Tink, in files that only their owner reads. The primary key encrypts, every\n" +
			"other one decrypts. A keyset holds the key of the next rotation already: hand out the file after each\n" +
			"rotation, to the processes in any order.",
		Args: knownCommand,
		RunE: func(*cobra.Command, []string) error {
			return usagef("keyset: a command is missing: want new, rotate or show")
		},
	}
	for _, of := range []struct {
		name, short string
		do          func(path string) ([]encryption.Key, error)
	}{
		{"new", "Write a new keyset to a file that does not exist yet", encryption.Create},
		{"rotate", "Make the next key primary, and add another one; none is taken away", encryption.Rotate},
		{"show", "List the IDs of the keys, and what each is for", encryption.Show},
	} {
		cmd.AddCommand(&cobra.Command{
			Use: of.name + " FILE", Short: of.short, Long: of.short + ". It prints the IDs of the keys, and never a key.",
			Args: exactly(1, "FILE"),
			RunE: func(_ *cobra.Command, args []string) error {
				keys, err := of.do(args[0])
				if err != nil {
					return err
				}
				return s.print(keys, func(w io.Writer) error {
					t := newTable(w, "")
					for _, key := range keys {
						t.row(key.ID, string(key.Use))
					}
					return t.flush()
				})
			},
		})
	}
	return cmd
}
