"""`python -m electra_tf COMMAND` is `electra-tf COMMAND`."""

from electra_tf.cli.main import main

if __name__ == "__main__":
    main()
